"""The settings of every outgoing connection: its client certificate, its trusted certificate authorities and its proxy.

`SSL_CERT_FILE`, `MASKRELAY_CA_FILE`, `HTTPS_PROXY` and `NO_PROXY` are read from the environment of the process when a
connection is prepared, as in OpenSSL and in every HTTP library. So they apply to every client. Read `certificates`
first.
"""
