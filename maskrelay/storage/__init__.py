"""Object storage: folders, S3 and Azure Blob Storage behind one protocol.

Objects are bytes under a key. They are written as a whole, read, listed and deleted. Read `protocol` first, then
`factory`.
"""
