"""How every connection leaves this process: which certificates it trusts and shows, and which proxy it goes through.

`SSL_CERT_FILE`, `MASKRELAY_CA_FILE`, `HTTPS_PROXY` and `NO_PROXY` are read from the process's own environment where a
connection is prepared, as OpenSSL and every HTTP library read theirs, so that no client can be forgotten. Start with
`certificates`.
"""
