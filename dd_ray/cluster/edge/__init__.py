"""The edge: an HAProxy that sends predict calls straight to the replicas of their service."""
