"""The files of the lean deployment, which `maskrelay endpoint create --lean` writes next to the YAML files.

These files are used only on Azure, and nothing in the service imports them. Read `lean_scoring_script` first.
"""
