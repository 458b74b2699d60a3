"""Input connectors: data in, batches out."""
