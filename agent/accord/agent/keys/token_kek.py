# SPDX-License-Identifier: Apache-2.0
"""A key-encrypting key in a PKCS#11 token, which never leaves it.

The token encrypts and decrypts by itself (AES-256-GCM); the program has its PIN and
sees what is sealed, and a copy of the disk is of no use without the token.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from accord.agent.keys.envelope import ID_BYTES, Altered
from accord.agent.settings import KekSource
from accord.core.errors import ConfigurationError

if TYPE_CHECKING:
    import pkcs11

_BITS = 256


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TokenKek:
    """The AES key of one label in one token."""

    module: str
    """The library that speaks with the token."""
    token: str
    label: str
    pin: str = dataclasses.field(repr=False)

    @classmethod
    def of(cls, source: KekSource, pin: str) -> Self:
        """Return the key that settings name; the token is asked when it is used."""
        return cls(
            module=source.pkcs11_module or "",
            token=source.pkcs11_token or "",
            label=source.pkcs11_key,
            pin=pin,
        )

    @property
    def id(self) -> bytes:
        """Hash of its names: the key itself cannot be read."""
        names = f"{self.token}\0{self.label}".encode()
        return hashlib.sha256(b"accord kek token 1\0" + names).digest()[:ID_BYTES]

    @property
    def place(self) -> str:
        """Where it comes from, for a person."""
        return f"the key {self.label!r} of the PKCS#11 token {self.token!r}"

    def encrypt(self, nonce: bytes, content: bytes, context: bytes) -> bytes:
        """Return ciphertext and tag.

        Raises:
            ConfigurationError: KEK_TOKEN.
        """
        import pkcs11

        with self._key() as key:
            return bytes(
                key.encrypt(
                    content,
                    mechanism=pkcs11.Mechanism.AES_GCM,
                    mechanism_param=pkcs11.GCMParams(nonce, context),
                )
            )

    def decrypt(self, nonce: bytes, content: bytes, context: bytes) -> bytes:
        """Return what was encrypted.

        Raises:
            Altered: it does not open.
            ConfigurationError: KEK_TOKEN.
        """
        import pkcs11

        with self._key() as key:
            try:
                return bytes(
                    key.decrypt(
                        content,
                        mechanism=pkcs11.Mechanism.AES_GCM,
                        mechanism_param=pkcs11.GCMParams(nonce, context),
                    )
                )
            except (
                pkcs11.EncryptedDataInvalid,
                pkcs11.EncryptedDataLenRange,
                pkcs11.GeneralError,  # what SoftHSM says of a wrong tag
            ):
                raise Altered from None

    def make(self) -> None:
        """Make the key in the token, such that it can never be read from it.

        Raises:
            ConfigurationError: KEK_TOKEN, there is one, or the token refuses.
        """
        import pkcs11

        with self._session(rw=True) as session:
            wanted = {
                pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
                pkcs11.Attribute.LABEL: self.label,
            }
            # A search that is left before its end blocks the next.
            if list(session.get_objects(wanted)):
                raise ConfigurationError(
                    "KEK_TOKEN",
                    f"There is {self.place} already, and it is not overwritten. Name "
                    "another with pkcs11_key in config.toml.",
                )
            session.generate_key(
                pkcs11.KeyType.AES,
                _BITS,
                label=self.label,
                store=True,
                capabilities=pkcs11.MechanismFlag.ENCRYPT
                | pkcs11.MechanismFlag.DECRYPT,
                template={
                    pkcs11.Attribute.SENSITIVE: True,
                    pkcs11.Attribute.EXTRACTABLE: False,
                },
            )

    @contextlib.contextmanager
    def _key(self) -> Iterator[Any]:  # its types lack what it can do
        import pkcs11

        with self._session() as session:
            yield session.get_key(
                object_class=pkcs11.ObjectClass.SECRET_KEY,
                key_type=pkcs11.KeyType.AES,
                label=self.label,
            )

    @contextlib.contextmanager
    def _session(self, *, rw: bool = False) -> Iterator[pkcs11.Session]:
        try:
            import pkcs11
        except ImportError:
            raise ConfigurationError(
                "KEK_TOKEN",
                "The agent's keys are sealed with a PKCS#11 token, and the driver is "
                "not installed: install `accord-agent[pkcs11]` in the place of "
                "`accord-agent`.",
            ) from None
        try:
            token = pkcs11.lib(self.module).get_token(token_label=self.token)
            with token.open(rw=rw, user_pin=self.pin) as session:
                yield session
        except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
            raise ConfigurationError(
                "KEK_TOKEN",
                f"The agent's keys are sealed with {self.place}, which cannot be used "
                f"through {self.module} ({type(error).__name__}). See that the token "
                "is there and that module, token, key and PIN are those of [keys] in "
                "config.toml.",
            ) from None
