"""What happens to services, jobs and predictions, without HTTP and without Ray."""
