"""The sending of callbacks.

The sender takes an event and a URL, signs the event, and returns the result of one attempt. It connects only to allowed
addresses. Read `callback_sender` first, then `address_guard`.
"""
