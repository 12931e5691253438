"""The fields that were removed from older rows, with the version of the policy that stopped keeping them."""

from tortoise import migrations
from tortoise.migrations import operations as ops

TABLE = """
CREATE TABLE field_removal (
    id uuid PRIMARY KEY,
    field text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    finished_at timestamptz NOT NULL,
    rows bigint NOT NULL
)
"""


class Migration(migrations.Migration):
    """Create the table."""

    dependencies = [("calledger", "0018_schema_program")]

    operations = [ops.RunSQL([TABLE], reverse_sql=["DROP TABLE field_removal"])]
