"""National identity numbers that have a checksum or a checkable form, by the name that a policy gives them."""

from collections.abc import Callable

from stdnum.au import abn, acn, tfn
from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.ch import ssn as ch_ssn
from stdnum.de import idnr
from stdnum.es import nie, nif
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.in_ import aadhaar, gstin, pan
from stdnum.it import codicefiscale
from stdnum.kr import rrn
from stdnum.nl import bsn
from stdnum.no import fodselsnummer
from stdnum.pl import pesel
from stdnum.se import personnummer
from stdnum.th import pin
from stdnum.tr import tckimlik
from stdnum.us import itin
from stdnum.za import idnr as za_idnr

NATIONAL: dict[str, Callable[[str], str]] = {
    "au-abn": abn.validate,
    "au-acn": acn.validate,
    "au-tfn": tfn.validate,
    "br-cpf": cpf.validate,
    "ca-sin": sin.validate,
    "ch-ahv": ch_ssn.validate,
    "de-tax": idnr.validate,
    "es-nie": nie.validate,
    "es-nif": nif.validate,
    "fi-hetu": hetu.validate,
    "fr-nir": nir.validate,
    "gb-nhs": nhs.validate,
    "in-aadhaar": aadhaar.validate,
    "in-gstin": gstin.validate,
    "in-pan": pan.validate,
    "it-fiscal": codicefiscale.validate,
    "kr-rrn": rrn.validate,
    "nl-bsn": bsn.validate,
    "no-fnr": fodselsnummer.validate,
    "pl-pesel": pesel.validate,
    "se-pin": personnummer.validate,
    "th-pin": pin.validate,
    "tr-id": tckimlik.validate,
    "us-itin": itin.validate,
    "za-id": za_idnr.validate,
}
