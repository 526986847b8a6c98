"""The settings of every outgoing connection: its client certificate, its trusted certificate authorities and its proxy.

`SSL_CERT_FILE`, `MASKRELAY_CA_FILE`, `HTTPS_PROXY` and `NO_PROXY` are read from the environment whenever a connection
is prepared, and apply to all clients. OpenSSL and HTTP libraries read their environment variables at this time too.
Read `certificates` first.
"""
