"""Create, change and delete an endpoint through Azure's control plane.

The input is a specification of what should exist. The result is calls to the control plane, or the equivalent `az`
commands as text. Read `endpoint_commands` first, then `spec`.
"""
