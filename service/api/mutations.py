"""The root of what changes something."""

import strawberry

from service.api.evidence import EvidenceMutation
from service.api.exports import ExportMutation
from service.api.retention_mutations import RetentionMutation
from service.api.reveal import RevealMutation


@strawberry.type(description="What can be done.")
class Mutation(RevealMutation, RetentionMutation, EvidenceMutation, ExportMutation):
    """Each duty has its own file; here they come together."""
