-- The second factor of staff (RFC 6238). The secret is sealed under the person's data key; `last_step` is the newest span
-- of 30 seconds whose code was used, so that no code is good twice.
CREATE TABLE totp (
    person_id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    secret {bytes} NOT NULL,
    created_at {time} NOT NULL,
    confirmed_at {time},
    last_step bigint NOT NULL
)
--;
