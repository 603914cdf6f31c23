-- The policy asks for the members of many teams at once: everything that it wants of them lies in one index.
CREATE INDEX volunteer_of_team ON volunteer (team_id, status, person_id, skills)
--;
DROP INDEX volunteer_team
--;
CREATE INDEX on_leave_now ON on_leave (to_at)
--;
