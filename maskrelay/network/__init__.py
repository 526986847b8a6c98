"""Network settings of every outgoing connection: its certificates, its trusted authorities and its proxy.

`SSL_CERT_FILE`, `MASKRELAY_CA_FILE`, `HTTPS_PROXY` and `NO_PROXY` are read from the environment of the process when a
connection is prepared, as OpenSSL and every HTTP library do, so that no client can be forgotten. Start with
`certificates`.
"""
