-- 志愿服务活动: a time, a place, and room for so many.
CREATE TABLE activity (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    area_code {code} NOT NULL,
    title text NOT NULL,
    content text NOT NULL,
    place text NOT NULL,
    starts_at {time} NOT NULL,
    ends_at {time} NOT NULL,
    travel_minutes bigint NOT NULL,
    capacity bigint NOT NULL,
    joined bigint NOT NULL,
    made_by {uuid} NOT NULL,
    made_at {time} NOT NULL,
    noticed_at {time}
)
--;
CREATE INDEX activity_area ON activity (area_code, id)
--;
-- 报到、签到、反馈: one person's part in an activity.
CREATE TABLE attendance (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    activity_id {uuid} NOT NULL,
    person_id {uuid} NOT NULL,
    joined_at {time} NOT NULL,
    checked_in_at {time},
    feedback_at {time},
    feedback text,
    minutes bigint
)
--;
CREATE UNIQUE INDEX attendance_once ON attendance (activity_id, person_id)
--;
CREATE INDEX attendance_person ON attendance (person_id, id)
--;
-- 走访巡查: somebody walks his area.
CREATE TABLE patrol (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    area_code {code} NOT NULL,
    person_id {uuid} NOT NULL,
    began_at {time} NOT NULL,
    ended_at {time},
    minutes bigint,
    summary text
)
--;
CREATE INDEX patrol_area ON patrol (area_code, id)
--;
CREATE INDEX patrol_person ON patrol (person_id, id)
--;
-- Nobody walks two patrols at once.
CREATE UNIQUE INDEX patrol_open ON patrol (person_id) WHERE ended_at IS NULL
--;
-- What he saw: a place that he visited, or a hazard, which became an order.
CREATE TABLE patrol_note (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    patrol_id {uuid} NOT NULL,
    at {time} NOT NULL,
    place text NOT NULL,
    note text,
    order_id {uuid}
)
--;
CREATE INDEX patrol_note_patrol ON patrol_note (patrol_id, id)
--;
