-- Photos. The bytes lie on the shelf, sealed under their uploader's key and bound to this id; here is what they are, whose,
-- and what they were attached to. `stored_at` is empty while they are on their way to the shelf.
CREATE TABLE media (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    uploader_id {uuid} NOT NULL,
    order_id {uuid},
    post_id {uuid},
    purpose text,
    width bigint NOT NULL,
    height bigint NOT NULL,
    bytes bigint NOT NULL,
    look bigint,
    check_state text,
    check_trace text,
    created_at {time} NOT NULL,
    stored_at {time},
    attached_at {time},
    erased_at {time}
)
--;
CREATE INDEX media_order ON media (order_id) WHERE order_id IS NOT NULL
--;
CREATE INDEX media_post ON media (post_id) WHERE post_id IS NOT NULL
--;
CREATE INDEX media_uploader ON media (uploader_id)
--;
-- What the sweep looks for: never attached, or erased and still on the shelf.
CREATE INDEX media_unattached ON media (created_at) WHERE order_id IS NULL
--;
CREATE INDEX media_erased ON media (erased_at) WHERE erased_at IS NOT NULL
--;
-- Photos that WeChat has not answered about.
CREATE INDEX media_checked ON media (attached_at) WHERE check_state IN ('wanted', 'asked')
--;
CREATE INDEX media_trace ON media (check_trace) WHERE check_trace IS NOT NULL
--;
-- Four quarters of each look: of two looks that are near, one quarter is the same but for one bit.
CREATE TABLE media_look (
    county {code} NOT NULL,
    filed bigint NOT NULL,
    media_id {uuid} NOT NULL,
    PRIMARY KEY (county, filed, media_id)
)
--;
CREATE INDEX media_look_media ON media_look (media_id)
--;
-- What WeChat said under a number, whoever was first: its answer, or ours that we asked.
CREATE TABLE media_check_result (
    trace_id text PRIMARY KEY,
    county {code} NOT NULL,
    state text NOT NULL,
    at {time} NOT NULL
)
--;
-- The photos of a post, as a JSON list of ids.
ALTER TABLE showcase_post ADD COLUMN media text
--;
