"""What stands between calls and the machine: keys, paths, addresses, archives, messages."""
