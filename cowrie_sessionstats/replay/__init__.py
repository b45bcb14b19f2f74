"""Raw logs of any year to the records that the plugin would have written live."""
