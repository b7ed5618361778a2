"""Report writers: each turns a finished run into one file."""
