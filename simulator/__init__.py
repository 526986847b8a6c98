"""A local endpoint that answers like Azure ML's container and gateway, with classical image
segmentation as its model.
"""
