//! Access tokens: one current, an old one for a moment beside it.

use super::chance::Chance;
use super::refusal::Refusal;

/// A real token is at least this long, and columns that are shorter break in production only.
const TOKEN_CHARS: usize = 512;

struct Issued {
    token: String,
    expires_at: i64,
}

pub(super) struct Tokens {
    life_seconds: i64,
    overlap_seconds: i64,
    /// Newest last. The expired ones stay so that they can be told from those that never were.
    issued: Vec<Issued>,
}

/// How many tokens are remembered; older ones count as never issued.
const REMEMBERED: usize = 8;

impl Tokens {
    pub(super) fn new(life_seconds: i64, overlap_seconds: i64) -> Self {
        Self { life_seconds, overlap_seconds, issued: Vec::new() }
    }

    /// The current token and how many seconds it still lives: the same one until its last part has begun. With
    /// `force` a new one, and the old one is dead at once.
    pub(super) fn current(&mut self, now: i64, force: bool, chance: &mut Chance) -> (String, i64) {
        if force {
            self.revoke();
        }
        if let Some(newest) = self.issued.last()
            && newest.expires_at - now > self.overlap_seconds
        {
            return (newest.token.clone(), newest.expires_at - now);
        }
        let token = format!("{}_{}", 50 + chance.number() % 50, chance.word(TOKEN_CHARS));
        self.issued.push(Issued { token: token.clone(), expires_at: now + self.life_seconds });
        if self.issued.len() > REMEMBERED {
            self.issued.remove(0);
        }
        (token, self.life_seconds)
    }

    pub(super) fn check(&self, token: Option<&str>, now: i64) -> Result<(), Refusal> {
        let token = token.filter(|token| !token.is_empty()).ok_or_else(Refusal::missing_token)?;
        if token.len() < TOKEN_CHARS {
            return Err(Refusal::malformed_token());
        }
        match self.issued.iter().find(|issued| issued.token == token) {
            None => Err(Refusal::bad_token()),
            Some(issued) if issued.expires_at <= now => Err(Refusal::expired_token()),
            Some(_) => Ok(()),
        }
    }

    pub(super) fn revoke(&mut self) {
        self.issued.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(checked: Result<(), Refusal>) -> i64 {
        checked.map_or_else(|refusal| refusal.errcode, |()| 0)
    }

    #[test]
    fn a_token_overlaps_with_the_next_and_then_expires() {
        let (mut tokens, mut chance) = (Tokens::new(7200, 300), Chance::new(1));
        let (first, life) = tokens.current(0, false, &mut chance);
        assert!(first.len() >= 512 && life == 7200);
        assert_eq!(tokens.current(6899, false, &mut chance), (first.clone(), 301));
        let (second, life) = tokens.current(6900, false, &mut chance);
        assert!(second != first && life == 7200);
        assert_eq!(code(tokens.check(Some(&first), 7199)), 0);
        assert_eq!(code(tokens.check(Some(&first), 7200)), 42001);
        assert_eq!(code(tokens.check(Some(&second), 7200)), 0);
    }

    #[test]
    fn a_forced_token_kills_the_old_one() {
        let (mut tokens, mut chance) = (Tokens::new(7200, 300), Chance::new(1));
        let (first, _) = tokens.current(0, false, &mut chance);
        let (second, _) = tokens.current(1, true, &mut chance);
        assert_eq!(code(tokens.check(Some(&first), 1)), 40001);
        assert_eq!(code(tokens.check(Some(&second), 1)), 0);
    }

    #[test]
    fn no_token_and_half_a_token_have_their_own_numbers() {
        let tokens = Tokens::new(7200, 300);
        assert_eq!(code(tokens.check(None, 0)), 41001);
        assert_eq!(code(tokens.check(Some(""), 0)), 41001);
        assert_eq!(code(tokens.check(Some("short"), 0)), 40014);
        assert_eq!(code(tokens.check(Some(&"x".repeat(512)), 0)), 40001);
    }
}
