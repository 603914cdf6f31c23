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
--;
--postgres
-- Whether somebody who takes on an order would hold more than he may. It waits for another order that he takes on at the
-- same moment, and a statement inside a function sees what was committed until then, which the statement that calls it
-- does not: so the one statement that writes an acceptance can be sure.
CREATE FUNCTION would_hold_too_many(taker uuid, taken uuid, at_most bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM 1 FROM volunteer WHERE person_id = taker FOR UPDATE;
    RETURN (SELECT count(*) FROM due WHERE volunteer_id = taker AND order_id <> taken) >= at_most;
END $$
