"""A honeypot's answers beside those of a real machine: what gives it away."""
