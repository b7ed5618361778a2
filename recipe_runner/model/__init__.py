"""The model: what is known of it and from where, how it is spread over devices, and whether it fits."""
