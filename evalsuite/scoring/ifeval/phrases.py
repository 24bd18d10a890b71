"""Plain sentences, ours, from which the writer makes texts: English without commas, names or one-letter words, and one
or two sentences in each language that the benchmark asks for."""

ENGLISH = (
    "this short text was made to show what the rules ask for",
    "we keep our words plain and put them in the right order",
    "good answers say what is needed and then they stop",
    "many readers look at every line with care when they have enough time",
    "old houses near the river look warm in the evening light",
    "you will often find simple things helpful during long days",
    "the garden behind that house grew beans and herbs last summer",
    "nobody heard the small bird while it sang above us",
)

WITH_LETTER = {
    "a": "banana", "b": "bubble", "c": "circle", "d": "added", "e": "between", "f": "fluffy", "g": "giggling",
    "h": "hither", "i": "initial", "j": "jolly", "k": "kick", "l": "little", "m": "mammal", "n": "nineteen",
    "o": "outdoor", "p": "puppy", "q": "quick", "r": "mirror", "s": "lessons", "t": "attempt", "u": "unusual",
    "v": "vivid", "w": "window", "x": "boxes", "y": "yearly", "z": "puzzle",
}  # fmt: skip

LANGUAGES = {
    "ar": "هذا نص قصير عن البيت القديم قرب النهر وعن المطر الذي نزل في الصباح على الحديقة الصغيرة",
    "bg": "Това е кратък текст за старата къща край реката и за дъжда който валя сутринта над малката градина",
    "bn": "এটি নদীর ধারের পুরোনো বাড়ি নিয়ে লেখা একটি ছোট লেখা এবং আজ সকালে বাগানে অনেক বৃষ্টি হয়েছে",
    "de": "Das ist ein kurzer Text über das alte Haus am Fluss und über den Regen der heute Morgen auf den Garten fiel",
    "en": " ".join(ENGLISH[4:6]),
    "fa": "این یک متن کوتاه درباره خانه قدیمی کنار رودخانه است و باران امروز صبح در باغ کوچک ما می بارید",
    "fi": "Tämä on lyhyt teksti vanhasta talosta joen rannalla ja sateesta joka kasteli pienen puutarhan aamulla",
    "gu": "આ નદી કિનારે આવેલા જૂના ઘર વિશેનું એક નાનું લખાણ છે અને આજે સવારે બગીચામાં ઘણો વરસાદ પડ્યો",
    "hi": "यह नदी के किनारे बने पुराने घर के बारे में एक छोटा लेख है और आज सुबह बगीचे में बहुत बारिश हुई",
    "it": "Questo è un breve testo sulla vecchia casa vicino al fiume e sulla pioggia che cade sul giardino",
    "kn": "ಇದು ನದಿಯ ದಡದಲ್ಲಿರುವ ಹಳೆಯ ಮನೆಯ ಬಗ್ಗೆ ಬರೆದ ಚಿಕ್ಕ ಬರಹ ಮತ್ತು ಇಂದು ಬೆಳಿಗ್ಗೆ ತೋಟದಲ್ಲಿ ಮಳೆ ಬಂತು",
    "ko": "이것은 강가에 있는 오래된 집에 대한 짧은 글이고 오늘 아침에는 작은 정원에 비가 많이 내렸습니다",
    "mr": "हा नदीच्या काठावर असलेल्या जुन्या घराबद्दलचा एक छोटा लेख आहे आणि आज सकाळी बागेत खूप पाऊस पडला",
    "ne": "यो नदी किनारको पुरानो घरको बारेमा लेखिएको सानो लेख हो र आज बिहान बगैंचामा धेरै पानी परेको थियो",
    "pa": "ਇਹ ਨਦੀ ਦੇ ਕੰਢੇ ਬਣੇ ਪੁਰਾਣੇ ਘਰ ਬਾਰੇ ਇੱਕ ਛੋਟਾ ਲੇਖ ਹੈ ਅਤੇ ਅੱਜ ਸਵੇਰੇ ਬਾਗ ਵਿੱਚ ਬਹੁਤ ਮੀਂਹ ਪਿਆ",
    "pt": "Este é um texto curto sobre a velha casa perto do rio e sobre a chuva que caiu esta manhã no pequeno jardim",
    "ru": "Это короткий текст о старом доме у реки и о дожде который шёл сегодня утром над нашим маленьким садом",
    "sw": "Hii ni hadithi fupi kuhusu nyumba ya zamani karibu na mto na mvua iliyonyesha asubuhi katika bustani yetu",
    "ta": "இது ஆற்றங்கரையில் உள்ள பழைய வீட்டைப் பற்றிய ஒரு சிறிய கட்டுரை இன்று காலை தோட்டத்தில் மழை பெய்தது",
    "te": "ఇది నది ఒడ్డున ఉన్న పాత ఇంటి గురించి రాసిన చిన్న వ్యాసం మరియు ఈ ఉదయం తోటలో చాలా వర్షం పడింది",
    "th": "นี่คือข้อความสั้น ๆ เกี่ยวกับบ้านเก่าริมแม่น้ำ และเมื่อเช้านี้ฝนตกหนักในสวนเล็ก ๆ ของเรา",
    "ur": "یہ دریا کے کنارے پرانے گھر کے بارے میں ایک چھوٹی سی تحریر ہے اور آج صبح باغ میں بہت بارش ہوئی",
    "vi": "Đây là một đoạn văn ngắn về ngôi nhà cũ gần dòng sông và cơn mưa sáng nay đã rơi xuống khu vườn nhỏ",
}
