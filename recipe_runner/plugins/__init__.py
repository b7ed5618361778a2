"""What the contract for plugins is made of, and how those that are installed are found."""
