"""What measured numbers say: whether to believe them, their noise, whether they pass, how two runs differ."""
