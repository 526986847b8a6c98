"""Makes the bucket of MASKRELAY_STORAGE_URL at MASKRELAY_S3_ENDPOINT_URL, unless it is there."""  # noqa: INP001

import os
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError


def main() -> None:
    client = boto3.session.Session().client("s3", endpoint_url=os.environ["MASKRELAY_S3_ENDPOINT_URL"])
    bucket = urlsplit(os.environ["MASKRELAY_STORAGE_URL"]).netloc
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
        client.create_bucket(Bucket=bucket)


if __name__ == "__main__":
    main()
