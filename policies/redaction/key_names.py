"""Key names: how sure the name of a field makes us that its value is a credential."""
# full-width letters and other scripts are what is looked for

import re
from enum import IntEnum
from functools import lru_cache


class Trust(IntEnum):
    """How little of the value needs to be seen before it is hidden."""

    harmless = 0  # the name says that the value is no credential
    weak = 1  # `key`, `token`: the value must look like a credential
    strong = 2  # `api_key`, `client_secret`: anything but a word or a number about it
    certain = 3  # `password`: whatever it looks like
    header = 4  # `authorization`, `cookie`: the whole line


_HEADER = re.compile(
    r"(?:proxy|xamz)?authorization|(?:set)?cookies?2?|xauthorization|xforwardedauthorization|wwwauthenticate"
)
_CERTAIN = re.compile(
    r"passw(?:or)?d|passwd|passphrase|passcode|pwd|bindpw$|^otp$|^totp$|twofactor(?:code)?$|(?:otp|mfa|2fa|verification|sms|onetime)code$|(?<!by)(?<!com)(?<!tres)(?<!sur)pass(?:secure)?$"
    r"|clientsecret|secretkey|appsecret|consumersecret|privatekey(?!id)|secret$|secrets$|^secrete?|credentials?$|mnemonic|seedphrase"
    r"|recoverycode|totpseed|otpsecret|secretaccesskey"
)
_STRONG = re.compile(
    r"apikey|api_?token|accesskey|accesstoken|authtoken|authkey|refreshtoken|idtoken|sessiontoken|bearertoken|securitytoken"
    r"|secret|signingkey|encryptionkey|masterkey|accountkey|storagekey|sharedkey|servicekey|privatekeyid|licensekey|webhooktoken"
    r"|(?:litellm|openai|anthropic|claude|azure|xai|grok|groq|gemini|vertex|bedrock|mistral|cohere|deepseek|openrouter"
    r"|together|fireworks|perplexity|replicate|huggingface|hf|nvidia|nim|zhipu|dashscope|qwen|moonshot|kimi|minimax|ark"
    r"|volc(?:engine)?|cerebras|sambanova|exa|tavily|jina|voyage|runpod|vendor|provider|upstream|channel)(?:ai)?key$"
    r"|deploytoken|personalaccesstoken|connectionstring|sharedaccess|sastoken|cred(?:ential)?s?$|xapikey|subscriptionkey"
    r"|functionskey|appkey|instrumentationkey|oauthtoken|csrftoken|xsrftoken|jsessionid|phpsessid|sessionid|sessid|virtualkey"
    r"|^(?:sig|signature|sas|cvv|cvc|pin)$|密码|密碼|密钥|金鑰|口令|令牌|秘钥|凭证|パスワード|비밀번호|암호|пароль"
    r"|[cx]srf|passwort|kennwort|contrase[ñn]a|^senha|motdepasse|wachtwoord|^clave$|^has[łl]o$|^parola$|l[öo]senord"
)
_WEAK = re.compile(
    r"token|key|auth|access|private|bearer|session|signature|webhook|(?<!com)pat$|jwt|nonce|salt|ticket|passport|login|api$|hash$|pin$"
    r"|license|dsn$|creds|(?:^|[^a-z])sid$|otp|code$"
)
_HARMLESS = re.compile(
    r"(?:max|min|num|total|prompt|completion|input|output|cached|reasoning|used|remaining|limit|budget|avg|audio|text|image)[a-z]*tokens?"
    r"|(?<!access)(?<!auth)(?<!api)(?<!refresh)tokens$|tokens?(?:count|limit|usage|type|budget|ids?|izer|name|url|uri|endpoint|length"
    r"|path|file|expir|ttl|lifetime|index|price|cost|details|perminute)"
    r"|(?:cache|caching|primary|foreign|public|sort|partition|routing|group|index|hash|dict|map|cursor|shard|idempotency|dedup|unique"
    r"|composite|row|column|object|registry|translation|hot|arrow|parent|child|lookup|message|event|sentence|question|answer)keys?$"
    r"|(?:key|secret|password|passwd|pwd|token|credentials?|auth|cookie|session|login)s?"
    r"(?:name|alias|type|count|limit|length|size|id(?!token)|policy|hint|field|path|file|filename|dir|url|uri|endpoint|provider|method|mode"
    r"|error|errors|status|code|codes|expir\w*|expires|ttl|version|format|prefix|suffix|header|required|enabled|disabled|valid|invalid"
    r"|manager|store|rotation|ref|arn|strength|hash|reset|change|changed|missing|mismatch|failed|failure|service|server|scheme|spec|parameters?"
    r"|s?schema|index|order|valueerror|board|word|words|stroke|frame|space|less|info|event|usage|budget|group|exception)s?$"
    r"|^(?:key|keys|tokens|author|authors|authority|authenticated|accessed|accessible|access)$|keyerror|keyword|monkey|turkey|hockey|authorname"
    r"|tokenizer|detokenize|secretary|secretsmanager|accessdenied|authenticationerror|permission|passwordless"
)


_ODD = re.compile(r"[^a-z0-9\u0080-\uffff]")
_NAME_BYTES_MAX = 256


def trust(name: bytes) -> Trust:
    """How much the key name `name`, in any spelling (`apiKey`, `API-KEY`, `x-api.key`), says about its value.

    Of a name longer than any that a program gives, the end is judged.
    """
    return _trust(name[-_NAME_BYTES_MAX:])


@lru_cache(maxsize=4096)
def _trust(name: bytes) -> Trust:
    flat = _ODD.sub("", name.decode("utf-8", "replace").lower())
    if _HEADER.fullmatch(flat):
        return Trust.header
    if flat in _ALONE:
        return _ALONE[flat]
    if _HARMLESS.search(flat):
        return Trust.harmless
    if _CERTAIN.search(flat):
        return Trust.certain
    if _STRONG.search(flat):
        return Trust.strong
    return Trust.weak if _WEAK.search(flat) else Trust.harmless


_ALONE = {
    "key": Trust.weak,
    "keys": Trust.weak,
    "token": Trust.weak,
    "access": Trust.weak,
    "privatekeyid": Trust.strong,
    "accesskeyid": Trust.strong,
    "awsaccesskeyid": Trust.strong,
    "secretid": Trust.strong,
    "sessionid": Trust.strong,
    "cookie": Trust.header,
    "pass": Trust.certain,
    "pw": Trust.certain,
    "psw": Trust.certain,
    "psk": Trust.certain,
}
