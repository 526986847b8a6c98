"""A local endpoint for tests, which responds like the gateway and container of Azure ML.

Instead of the model, it uses classical methods of image segmentation.
"""
