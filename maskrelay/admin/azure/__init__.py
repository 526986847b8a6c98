"""The life of an endpoint by way of Azure's control plane: what is wanted, the calls, and what the answers mean."""
