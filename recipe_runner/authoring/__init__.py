"""What helps a person to write a recipe: a first draft, the schema that editors read, what a reviewer would say."""
