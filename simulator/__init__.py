"""A local endpoint that answers as Azure ML's container and gateway do, with classical segmentation inside."""
