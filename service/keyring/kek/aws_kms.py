"""A key-encryption key in AWS KMS: `aws:KEY_ARN`. Credentials are looked up as in every AWS program.

The context is sent as the encryption context, which AWS authenticates and CloudTrail shows: it names the key that was
wrapped, and nothing else. The caller needs `kms:Encrypt` and `kms:Decrypt` on the key, and `kms:ReEncrypt*` to rotate
in place.
"""

import re
from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final

from service.keyring.errors import KekError
from service.keyring.kek.protocol import UnwrapError
from service.keyring.kek.remote import CONNECT_S, READ_S, KekUnavailableError, RemoteKek, optional_module

# The key itself and no alias: an alias can be made to point at another key.
_ARN: Final = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]{1,32}):\d{12}:key/[A-Za-z0-9-]{1,64}", re.ASCII)
_NO_SUCH_KEY: Final = frozenset({"NotFoundException", "InvalidArnException", "InvalidKeyUsageException"})
_NOT_OURS: Final = frozenset({"InvalidCiphertextException", "IncorrectKeyException", "ValidationException"})


class AwsKek(RemoteKek):
    """A symmetric key of AWS KMS."""

    def __init__(self, url: str) -> None:
        arn = url.removeprefix("aws:")
        match = _ARN.fullmatch(arn)
        if match is None:
            raise KekError(f"`{url}` is no key of AWS KMS: write `aws:` and the ARN of the key itself, not of an alias")
        super().__init__(f"AWS KMS key `{arn}`")
        self._arn = arn
        self._errors = optional_module("botocore.exceptions", extra="aws")
        config = optional_module("botocore.config", extra="aws").Config(
            connect_timeout=CONNECT_S, read_timeout=READ_S, retries={"total_max_attempts": 2, "mode": "standard"}
        )
        session = optional_module("boto3.session", extra="aws").Session(region_name=match[1])
        self._client = session.client("kms", config=config)

    def _wrap(self, key: bytes, context: bytes) -> bytes:
        answer = self._call(
            self._client.encrypt, KeyId=self._arn, Plaintext=key, EncryptionContext=_encryption_context(context)
        )
        return answer["CiphertextBlob"]

    def _unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        if not wrapped:
            raise UnwrapError
        answer = self._call(
            self._client.decrypt,
            KeyId=self._arn,
            CiphertextBlob=wrapped,
            EncryptionContext=_encryption_context(context),
        )
        return answer["Plaintext"]

    def _rewrap(self, wrapped: bytes, context: bytes) -> bytes:
        answer = self._call(
            self._client.re_encrypt,
            CiphertextBlob=wrapped,
            SourceKeyId=self._arn,
            SourceEncryptionContext=_encryption_context(context),
            DestinationKeyId=self._arn,
            DestinationEncryptionContext=_encryption_context(context),
        )
        return answer["CiphertextBlob"]

    def _call(self, operation: Callable[..., dict[str, Any]], **arguments: object) -> dict[str, Any]:
        try:
            return operation(**arguments)
        except self._errors.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "unknown"))
            if code in _NOT_OURS:
                raise UnwrapError from None
            if code in _NO_SUCH_KEY:
                raise KekError(f"there is no key for this use at `{self._arn}` ({code})") from None
            raise KekUnavailableError(f"it answers {code}") from None
        except self._errors.BotoCoreError as error:  # no connection, no credentials, no answer in time
            raise KekUnavailableError(type(error).__name__) from None


def _encryption_context(context: bytes) -> dict[str, str]:
    return {"calledger": b64encode(context).decode("ascii")}
