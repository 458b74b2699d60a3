"""Machine learning libraries behind one interface."""
