"""The wire formats of the endpoints: requests and answers as bytes.

Encoded images and prompts come in; request bodies come out. Answers come in; checked rows come out.
Read `image2d` first.
"""
