//! One word per variant: how the enums of scoring are written in the database, in JSON and in print.

/// A text is none of the words of its list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is not a {list}")]
pub struct UnknownWord {
    /// The list: the name of the type.
    pub list: &'static str,
    /// The text.
    pub word: String,
}

/// Gives an enum one word per variant, in the database, in JSON and in print.
macro_rules! words {
    ($name:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $name {
            /// The word for it in the database and in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord { list: stringify!($name), word: word.to_owned() }),
                }
            }
        }
    };
}
pub(super) use words;
