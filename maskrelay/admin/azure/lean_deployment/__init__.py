"""The files of the lean deployment: `maskrelay endpoint create --lean` writes them beside the YAML.

They run on Azure, not here, and nothing of the service imports them. Read `lean_scoring_script` first.
"""
