//! Commands by their names, the words of the glossary.

use serde::{Deserialize, Serialize};

/// A command's name: the word of the glossary, of the endpoint and of `allowedActions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// 点
    Place,
    /// 派
    Dispatch,
    /// 接
    Accept,
    /// 退单
    Decline,
    /// 转单
    HandOver,
    /// The volunteer is there.
    Arrive,
    /// Done.
    Complete,
    /// Ask the resident; clocks stand still.
    Wait,
    /// The resident's answer.
    Answer,
    /// 评
    Rate,
    /// 返工
    Reopen,
    /// Call off.
    Cancel,
    /// The end.
    Close,
    /// Up a level.
    Escalate,
    /// 催单
    Urge,
    /// 晒
    Show,
    /// It is the same as another order, and follows that one.
    Merge,
    /// Another order follows this one.
    Lead,
    /// The order that it followed was called off.
    Part,
    /// Another team helps, by an order of its own.
    Help,
    /// A helping order has come to its end.
    HelpEnded,
    /// The order that it helps was called off.
    Release,
    /// Handed on, because the volunteer who holds it leaves.
    Transfer,
    /// More time, once.
    Extend,
    /// 回访
    Revisit,
    /// 吹哨
    Whistle,
    /// 报到
    CheckIn,
    /// A department's result.
    Conclude,
    /// The rating of a department's result.
    RateWhistle,
    /// 限期整改
    Correct,
    /// 复查
    Inspect,
    /// Telling of a clock before, or at, its end.
    Warn,
}

impl Verb {
    /// Every command.
    pub const ALL: [Verb; 32] = [
        Verb::Place,
        Verb::Dispatch,
        Verb::Accept,
        Verb::Decline,
        Verb::HandOver,
        Verb::Arrive,
        Verb::Complete,
        Verb::Wait,
        Verb::Answer,
        Verb::Rate,
        Verb::Reopen,
        Verb::Cancel,
        Verb::Close,
        Verb::Escalate,
        Verb::Urge,
        Verb::Show,
        Verb::Merge,
        Verb::Lead,
        Verb::Part,
        Verb::Help,
        Verb::HelpEnded,
        Verb::Release,
        Verb::Transfer,
        Verb::Extend,
        Verb::Revisit,
        Verb::Whistle,
        Verb::CheckIn,
        Verb::Conclude,
        Verb::RateWhistle,
        Verb::Correct,
        Verb::Inspect,
        Verb::Warn,
    ];

    /// The path segment in the API.
    pub const fn segment(self) -> &'static str {
        match self {
            Verb::Place => "place",
            Verb::Dispatch => "dispatch",
            Verb::Accept => "accept",
            Verb::Decline => "decline",
            Verb::HandOver => "hand-over",
            Verb::Arrive => "arrive",
            Verb::Complete => "complete",
            Verb::Wait => "wait",
            Verb::Answer => "answer",
            Verb::Rate => "rate",
            Verb::Reopen => "reopen",
            Verb::Cancel => "cancel",
            Verb::Close => "close",
            Verb::Escalate => "escalate",
            Verb::Urge => "urge",
            Verb::Show => "show",
            Verb::Merge => "merge",
            Verb::Lead => "lead",
            Verb::Part => "part",
            Verb::Help => "help",
            Verb::HelpEnded => "help-ended",
            Verb::Release => "release",
            Verb::Transfer => "transfer",
            Verb::Extend => "extend",
            Verb::Revisit => "revisit",
            Verb::Whistle => "whistle",
            Verb::CheckIn => "check-in",
            Verb::Conclude => "conclude",
            Verb::RateWhistle => "rate-whistle",
            Verb::Correct => "corrections",
            Verb::Inspect => "inspect",
            Verb::Warn => "warn",
        }
    }
}

impl Verb {
    /// It is not asked for of the order itself but of a call or a notice, which says what may be done with it, or of the
    /// order that is to follow.
    pub const fn is_asked_elsewhere(self) -> bool {
        matches!(self, Verb::CheckIn | Verb::Conclude | Verb::RateWhistle | Verb::Inspect | Verb::Lead)
    }
}
