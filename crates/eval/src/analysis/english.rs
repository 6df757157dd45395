//! The words that hold every English text together.

use std::{collections::HashSet, sync::LazyLock};

/// Articles, pronouns, prepositions, conjunctions, auxiliaries, numerals, and the commonest verbs, nouns, adjectives and
/// adverbs, in the forms in which they occur.
pub(super) const COMMON: &str = "\
a an the this that these those each every either neither some any no none all both half many much more most few fewer \
less least several enough other others another such same own \
i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers herself \
it its itself they them their theirs themselves one ones oneself who whom whose which what whoever whatever whichever \
someone somebody something anyone anybody anything everyone everybody everything nobody nothing \
about above across after against along among around as at before behind below beneath beside besides between beyond by \
despite down during except for from in inside into like near of off on onto opposite out outside over past per since \
than through throughout till to toward towards under until unlike up upon via with within without \
and or but nor so yet if unless because although though while whereas when whenever where wherever whether how why \
however therefore thus hence otherwise instead moreover furthermore meanwhile nevertheless indeed \
be am is are was were been being have has had having do does did done doing will would shall should can could may might \
must ought need needs needed dare used cannot not never \
zero two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred thousand million first \
second third fourth fifth last next once twice \
go goes went gone going come comes came coming get gets got getting give gives gave given giving take takes took taken \
taking make makes made making let lets put puts set sets see sees saw seen seeing look looks looked looking find finds \
found finding know knows knew known knowing think thinks thought thinking say says said saying tell tells told telling \
ask asks asked asking want wants wanted try tries tried trying use uses using work works worked working call calls \
called keep keeps kept keeping hold holds held leave leaves left leaving begin begins began begun start starts started \
starting stop stops stopped end ends ended show shows showed shown showing mean means meant turn turns turned help helps \
helped seem seems seemed feel feels felt become becomes became bring brings brought write writes wrote written writing \
read reads reading run runs ran running move moves moved live lives lived believe happen happens happened allow allows \
include includes included change changes changed add adds added follow follows followed learn learns learned create \
creates created build builds built open opens opened close closes closed send sends sent stay stays stayed \
time times year years day days way ways thing things man men woman women child children person people world life hand \
hands part parts place places case cases point points fact facts group groups number numbers word words name names line \
lines side sides kind kinds sort form forms question questions answer answers problem problems reason reasons result \
results example examples order state states home house water room area money story book books page pages \
good better best bad worse worst great greater greatest big bigger biggest small smaller smallest large larger largest \
little long longer longest short shorter shortest high higher highest low lower lowest new newer old older young early \
late later right wrong true false full empty whole different possible important clear sure able free easy hard simple \
real common special certain single main only even also too very quite rather almost just still already again always \
often sometimes usually soon now then here there today away back together apart ago else ever far well perhaps maybe \
really actually exactly especially simply";

/// Words that hold a sentence together and say nothing by themselves: articles, pronouns, prepositions, conjunctions,
/// forms of `be`, `have` and `do`, and the verbs with which a sentence repeats its question (`was written by`). Negations
/// are not among them.
const FUNCTION: &str = "\
a an the this that these those i me my we us our you your he him his she her it its they them their who whom whose which \
what about above across after against along among around as at before behind below between beyond by down during for \
from in inside into near of off on onto out over since than through to toward towards under until up upon via with \
within and or but so if because although though while whereas when where whether how why am is are was were be been \
being has have had having do does did doing will would shall should can could may might must there here also just very \
so too such some any each called named known written wrote made located born invented discovered founded painted";

static FUNCTION_WORDS: LazyLock<HashSet<&str>> =
    LazyLock::new(|| FUNCTION.split_whitespace().collect());
static COMMON_WORDS: LazyLock<HashSet<&str>> =
    LazyLock::new(|| COMMON.split_whitespace().collect());

/// Whether a word in lower case holds English sentences together and says nothing by itself.
pub(super) fn is_function_word(word: &str) -> bool {
    FUNCTION_WORDS.contains(word)
}

/// Whether a word in lower case is one that every English text may use.
pub(super) fn is_common(word: &str) -> bool {
    COMMON_WORDS.contains(word)
}
