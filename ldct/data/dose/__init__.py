"""Quarter dose by simulation in the projection domain."""
