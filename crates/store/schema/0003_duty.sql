-- Who is away. A row is ended early, never removed: a stored decision may rest on it.
CREATE TABLE on_leave (
    id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    person_id {uuid} NOT NULL,
    from_at {time} NOT NULL,
    to_at {time} NOT NULL,
    created_at {time} NOT NULL,
    ended_at {time}
)
--;
CREATE INDEX on_leave_person ON on_leave (person_id, to_at)
--;
-- A team's roster: shifts, quiet hours, how many orders one person may hold. Read into every process's directory.
CREATE TABLE team_roster (
    team_id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    roster text NOT NULL,
    updated_by {uuid} NOT NULL,
    updated_at {time} NOT NULL
)
--;
-- What the offers of a team or of a volunteer came to: how many were accepted, and for how long they waited in all.
CREATE TABLE answer_history (
    owner_id {uuid} PRIMARY KEY,
    county {code} NOT NULL,
    accepts bigint NOT NULL,
    waited_seconds bigint NOT NULL,
    offered_at {time}
) {fill}
--;
-- How many orders somebody holds is asked for each member of each team that could be chosen.
CREATE INDEX due_volunteer ON due (volunteer_id) WHERE volunteer_id IS NOT NULL
