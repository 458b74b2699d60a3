"""Outputs of models as the API's JSON, templates and network."""
