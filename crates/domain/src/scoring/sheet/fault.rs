//! What can be wrong in a sheet of rules, and where.

use super::super::conditions::Trigger;
use super::Sheet;

/// Something wrong in a sheet, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sheet}, line {line}, {field}: {fault}")]
pub struct RuleFault {
    /// The sheet.
    pub sheet: Sheet,
    /// The line as an editor counts it, from 1, comments included.
    pub line: u64,
    /// The column, or `line` where the line as a whole is at fault.
    pub field: String,
    /// What is wrong.
    pub fault: Fault,
}

/// What can be wrong in a sheet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The heading names a column that this sheet does not have.
    #[error("unknown column")]
    UnknownColumn,
    /// The heading lacks a column.
    #[error("missing column")]
    MissingColumn,
    /// The heading names a column twice.
    #[error("the column stands there twice")]
    RepeatedColumn,
    /// The line has more or fewer fields than the heading.
    #[error("{found} fields where the heading has {expected}")]
    FieldCount {
        /// Fields of the heading.
        expected: usize,
        /// Fields of the line.
        found: usize,
    },
    /// The line cannot be read as CSV.
    #[error("not readable: {0}")]
    Unreadable(String),
    /// A field that must be filled is empty.
    #[error("must not be empty")]
    Empty,
    /// A code is not made of upper-case ASCII letters and digits, or is longer than 16.
    #[error("a code is 1 to 16 upper-case letters and digits")]
    BadCode,
    /// The same code and version stand in an earlier line, of either sheet.
    #[error("this code and version stand there already")]
    DuplicateCode,
    /// A higher version does not begin later than the version below it.
    #[error("a higher version must begin later than the one before it")]
    VersionNotLater,
    /// The category is none of the seven.
    #[error("not one of the seven categories")]
    WrongCategory,
    /// The category had another Chinese name in an earlier line.
    #[error("the category is called {expected} in an earlier line")]
    CategoryNameDiffers {
        /// The name in the earlier line.
        expected: String,
    },
    /// The kind is neither `bonus` nor `deduction`.
    #[error("must be bonus or deduction")]
    UnknownKind,
    /// The number is not an integer.
    #[error("not an integer")]
    NotAnInteger,
    /// A range whose lower bound is above its upper bound.
    #[error("the range is reversed")]
    RangeReversed,
    /// A base task or a bonus that takes points.
    #[error("must not be negative")]
    NegativePoints,
    /// A deduction that gives points.
    #[error("a deduction must not be positive")]
    PositiveDeduction,
    /// A number beyond [`POINTS_LIMIT`](crate::scoring::POINTS_LIMIT).
    #[error("larger than any rule may be")]
    TooLarge,
    /// A cap of zero or below.
    #[error("a cap must be positive")]
    CapNotPositive,
    /// A deduction with a cap: what is deducted is decided case by case, never cut off.
    #[error("a deduction has no cap")]
    CapOnDeduction,
    /// A cap that not even one award fits in.
    #[error("the cap is smaller than one award")]
    CapBelowPoints,
    /// A cap for a day above the one for the month: one of the two is a slip.
    #[error("the cap is larger than the monthly cap")]
    CapAboveMonth,
    /// A cap per order on a rule that does not score on orders.
    #[error("only what scores on an order by itself has a cap per order")]
    CapWithoutOrder,
    /// A trigger that nothing scores on.
    #[error("must be completed, rated, featured, activity or patrol, or empty")]
    UnknownTrigger,
    /// A condition on a rule that is claimed: whoever decides the claim sees to it.
    #[error("only a rule that scores by itself has conditions")]
    ConditionWithoutTrigger,
    /// A condition on something that its trigger knows nothing of.
    #[error("{trigger} knows nothing of it")]
    ConditionUnknown {
        /// What the rule scores on.
        trigger: Trigger,
    },
    /// Points taken for something else than a completion: a low rating is heard, not fined.
    #[error("a deduction scores by itself on completed orders only")]
    DeductionTrigger,
    /// Stars that nobody can give.
    #[error("stars are 1 to 5")]
    BadStars,
    /// Minutes that no service has.
    #[error("minutes are 1 to 1440")]
    BadMinutes,
    /// An urgency that is none, or one that stands there twice.
    #[error("urgencies are urgent, priority, normal and complex, each once, with | between them")]
    BadUrgency,
    /// Neither `yes` nor `no`.
    #[error("must be yes or no")]
    NotYesOrNo,
    /// A version below 1.
    #[error("versions count from 1")]
    BadVersion,
    /// An area that is no area's code.
    #[error("not the code of an area")]
    BadArea,
    /// An area of another county than an earlier line's.
    #[error("an area of another county than in an earlier line")]
    ForeignArea,
    /// A date that is not of the form `YYYY-MM-DD`.
    #[error("not a date of the form YYYY-MM-DD")]
    BadDate,
}
