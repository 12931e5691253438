"""An S3-compatible store on this host: moto plays it, over HTTP."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from aws_kms_server import CREDENTIALS, REGION
from moto.server import ThreadedMotoServer

BUCKET = "files"


class S3Server:
    """A store with the bucket `BUCKET`. `environment` is what leads boto3 there."""

    def __init__(self, port: int) -> None:
        self.environment = {
            **CREDENTIALS,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        }
        self.client = boto3.client(
            "s3",
            endpoint_url=self.environment["AWS_ENDPOINT_URL_S3"],
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )
        self.client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})

    def names(self) -> list[str]:
        return [entry["Key"] for entry in self.client.list_objects_v2(Bucket=BUCKET).get("Contents", ())]

    def uploads(self) -> set[str]:
        """Names of files of which parts have been sent."""
        return {entry["Key"] for entry in self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())}


@contextmanager
def running_s3() -> Iterator[S3Server]:
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield S3Server(server.get_host_and_port()[1])
    finally:
        server.stop()
