"""What an operator does with a Cowrie: turn the plugin on and off, see that it works."""
