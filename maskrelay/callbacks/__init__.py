"""Callbacks: one signed event to one receiver.

An event and a URL come in; the receiver's answer comes out. Only allowed addresses are connected to.
Read `callback_sender` first, then `address_guard`.
"""
