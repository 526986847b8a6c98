"""The life of an endpoint by way of Azure's control plane.

What is wanted comes in; calls to the control plane, or `az` commands as text, come out.
Read `endpoint_commands` first, then `spec`.
"""
