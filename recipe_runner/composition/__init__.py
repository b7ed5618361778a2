"""What a recipe and a command line come to: found, composed in layers, folded, checked."""
