"""The deliver stage: events are sent to the receivers of callbacks, and DICOM objects to an archive (PACS).

What enters is a delivery that is due in the outbox. What leaves is a marker in storage that says how it ended. Read
`event_delivery` first.
"""
