"""AWS KMS as moto plays it, over HTTP. Its keys outlive a stop, as those of AWS outlive an outage."""

import logging
import os

import boto3
from moto.server import ThreadedMotoServer

REGION = "eu-west-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "only-for", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_EC2_METADATA_DISABLED": "true"}


class AwsKmsServer:
    """A KMS on a free port of this host. `environment` is what leads boto3 there."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        self.port = 0
        self.start()

    @property
    def environment(self) -> dict[str, str]:
        return {**CREDENTIALS, "AWS_ENDPOINT_URL_KMS": f"http://127.0.0.1:{self.port}"}

    def start(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()
        self.port = self._server.get_host_and_port()[1]

    def stop(self) -> None:
        self._server.stop()

    def create_key(self) -> str:
        """A new key's ARN; `environment` must be in force."""
        assert os.environ["AWS_ENDPOINT_URL_KMS"] == self.environment["AWS_ENDPOINT_URL_KMS"]
        return boto3.client("kms", region_name=REGION).create_key()["KeyMetadata"]["Arn"]
