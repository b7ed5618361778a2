"""What is kept of runs beside their recipes, and whether it still holds."""
